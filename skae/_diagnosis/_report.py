"""What `diagnose` returns: findings, in words."""

from dataclasses import dataclass, field
from html import escape


@dataclass(frozen=True)
class Finding:
    """What is wrong with a fit, and what to do.

    Parameters
    ----------
    name : str
        A word for it, such as "collapse".
    what : str
        What has been seen, with numbers.
    change : str
        Which parameter to change, and how.
    effect : str
        What to expect of the change.
    """

    name: str
    what: str
    change: str
    effect: str


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What `diagnose` has found: a list of findings that prints itself.

    It is false if nothing was found.

    Parameters
    ----------
    title : str
        The estimator.
    findings : list of Finding
        What is wrong, if anything is.
    """

    title: str
    findings: list = field(default_factory=list)

    def __len__(self):
        return len(self.findings)

    def __iter__(self):
        return iter(self.findings)

    def __repr__(self):
        if not self.findings:
            return f"{self.title}: nothing found"
        lines = [f"{self.title}:"]
        for one in self.findings:
            lines += [
                f"- {one.name}: {one.what}",
                f"  change: {one.change}",
                f"  effect: {one.effect}",
            ]
        return "\n".join(lines)

    def _repr_html_(self):
        title = escape(self.title)
        if not self.findings:
            return f"<p><b>{title}</b>: nothing found</p>"
        head = "".join(f"<th>{name}</th>" for name in ("", "found", "change", "effect"))
        rows = "".join(
            f"<tr><th>{escape(one.name)}</th><td>{escape(one.what)}</td>"
            f"<td>{escape(one.change)}</td><td>{escape(one.effect)}</td></tr>"
            for one in self.findings
        )
        return (
            f'<table style="text-align: left"><caption>{title}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        )
