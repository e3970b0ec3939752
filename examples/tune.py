"""
Parameters of a VAE by Optuna, which gives up early on bad trials
=================================================================

Each trial trains a VAE on digits. At the end of every epoch a callback tells the study
the ELBO of held-out rows, at beta 1 whatever the trial's own beta is, so that trials
can be compared, and the study gives up a trial that is worse than half of the others.
What counts in the end is the log-density of rows that no trial has seen.

A search that tries all candidates to the end is faster with small networks, because
these train together: ``skae.model_selection.GridSearchCV``. This is for larger ones,
and for many parameters.

Run it with ``python examples/tune.py``, after ``pip install "skae[tune]"``.
"""

import optuna
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from skorch.callbacks import Callback

from skae import VAETransformer
from skae.architectures import MLP

N_TRIALS, MOST_EPOCHS = 12, 30


class Prune(Callback):
    """Tell a trial how it goes, and end it if the study says so."""

    def __init__(self, trial):
        self.trial = trial

    def __deepcopy__(self, memo):
        return Prune(self.trial)  # fits work on copies, but the trial is one

    def on_epoch_end(self, net, **kwargs):
        terms = net.history[-1]
        self.trial.report(
            -terms["valid_reconstruction"] - terms["valid_kl"], terms["epoch"]
        )
        if self.trial.should_prune():
            raise optuna.TrialPruned


def main():
    X, _ = load_digits(return_X_y=True)
    train, test = train_test_split(X, test_size=0.3, random_state=0)

    def objective(trial):
        vae = VAETransformer(
            trial.suggest_int("n_components", 2, 32, log=True),
            beta=trial.suggest_float("beta", 0.1, 4.0, log=True),
            lr=trial.suggest_float("lr", 3e-4, 1e-2, log=True),
            architecture=MLP((trial.suggest_categorical("width", [32, 64, 128]),)),
            max_epochs=MOST_EPOCHS,
            refit=False,  # an epoch is told once
            callbacks=[Prune(trial)],
            random_state=0,
        ).fit(train)
        return vae.log_likelihood(test).mean()

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize",
        sampler=TPESampler(seed=0),
        pruner=MedianPruner(n_startup_trials=4, n_warmup_steps=5),
    )
    study.optimize(objective, n_trials=N_TRIALS)

    for trial in study.trials:
        epochs = len(trial.intermediate_values)
        is_done = trial.state == optuna.trial.TrialState.COMPLETE
        value = f"{trial.value:8.2f} nats" if is_done else "     given up"
        params = {k: round(v, 4) for k, v in trial.params.items()}
        print(f"trial {trial.number:2d}: {value}, {epochs:2d} epochs, {params}")
    print(f"\nbest: {study.best_value:.2f} nats per row with {study.best_params}")


if __name__ == "__main__":
    main()
