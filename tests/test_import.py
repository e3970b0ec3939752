"""torch and skorch are imported by the first fit, not before."""

import pickle
import subprocess
import sys
from textwrap import dedent

import torch
from sklearn.datasets import load_iris

from skae import AutoencoderTransformer, _training


def run(source, *args):
    """Run a script in a fresh Python, with `loaded()`: what it has of the two."""
    loaded = """
        import sys
        def loaded():
            return {"torch", "skorch"} & set(sys.modules)
    """
    code = dedent(loaded) + dedent(source)
    subprocess.run([sys.executable, "-c", code, *args], check=True)


def test_an_estimator_needs_no_torch_until_it_is_fitted():
    run("""
        import pickle
        from sklearn.base import clone
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import GridSearchCV
        from sklearn.pipeline import make_pipeline
        from skae import AutoencoderTransformer, VAETransformer
        from skae.architectures import MLP
        from skae.likelihoods import Bernoulli, Calibrated, Gaussian, Laplace

        for likelihood in (Bernoulli(), Calibrated(), Gaussian(), Laplace()):
            vae = VAETransformer(architecture=MLP(), likelihood=likelihood)
            vae = clone(vae).set_params(architecture__dropout=0.5, optimizer="sgd")
            assert vae.get_params()["architecture__dropout"] == 0.5
            assert "dropout=0.5" in repr(pickle.loads(pickle.dumps(vae)))
        model = make_pipeline(AutoencoderTransformer(), LogisticRegression())
        grid = {"autoencodertransformer__n_components": [1, 2]}
        repr(clone(GridSearchCV(model, grid)))
        assert not hasattr(AutoencoderTransformer(), "classes_")

        for invalid in (
            VAETransformer(-1),
            VAETransformer(optimizer="adamm"),
            VAETransformer(architecture=MLP(activation="rulu")),
            VAETransformer(architecture=MLP((0,))),
            VAETransformer(likelihood=Gaussian(scale=-1.0)),
        ):
            try:
                invalid.fit([[0.0], [1.0]])
            except ValueError as error:
                assert "Got" in str(error), error
            else:
                raise AssertionError(invalid)
        assert loaded() == set()

        vae = VAETransformer(1, max_epochs=1).fit([[0.0], [1.0], [2.0]])
        assert "torch" in loaded()
    """)


def test_a_fitted_estimator_is_unpickled_where_nothing_is_loaded_yet(tmp_path):
    X = load_iris().data
    ae = AutoencoderTransformer(2, max_epochs=1, random_state=0).fit(X)
    file = tmp_path / "ae.pickle"
    file.write_bytes(pickle.dumps((ae, X, ae.transform(X))))
    run(
        """
        import pickle
        assert loaded() == set()
        with open(sys.argv[1], "rb") as file:
            ae, X, Z = pickle.load(file)
        assert "torch" in loaded()
        assert (ae.transform(X) == Z).all()
        """,
        str(file),
    )


def test_the_names_of_optimisers_are_those_that_there_are():
    for name, class_name in _training.OPTIMIZERS.items():
        cls = getattr(torch.optim, class_name)
        assert issubclass(cls, torch.optim.Optimizer)
        assert cls.__name__.lower() == name
