"""``rtbci subjects``: the profiles at hand."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from rtbci.apps.options import Json
from rtbci.apps.printing import print_json
from rtbci.errors import BadInputError

Name = Annotated[str, typer.Argument(help="The subject.")]


def subjects_list(as_json: Json = False) -> None:
    """List the profiles at hand; a damaged one is named and passed over."""
    from rtbci.calibration.profile import list_profiles, load_profile
    from rtbci.calibration.reading.checks import count

    cards, damaged = [], {}
    for name in list_profiles():
        try:
            cards.append(load_profile(name).card)
        except BadInputError as err:
            damaged[name] = str(err)
    if as_json:
        print_json({"subjects": [asdict(card) for card in cards], "damaged": damaged})
        return
    for why in damaged.values():
        typer.echo(f"rtbci: {why}", err=True)
    if not cards:
        if not damaged:
            typer.echo("No profile yet: rtbci calibrate --from RECORDING... --subject NAME")
        return
    table = Table("subject", "made", "decoder", "classes", "score", "verdict", "electrodes")
    for card in cards:
        trials = count(card.score.trials, "trial")
        said = card.verdict.finding if card.verdict is not None else ""
        caveat = "may be eyes or muscle" if "eyes or muscle:" in card.score.caveat else ""
        table.add_row(
            card.subject,
            card.created[:10],
            card.decoder,
            ", ".join(card.classes),
            f"{card.score.balanced:.2f} ({trials}, {card.score.label})",
            "; ".join(text for text in (said, caveat) if text),
            str(len(card.electrodes)),
        )
    Console().print(table)


def subjects_show(name: Name, as_json: Json = False) -> None:
    """Show all that a profile holds, and what came of fine-tuning."""
    from rtbci.apps.fine_tuning import lines
    from rtbci.calibration.card import write_card
    from rtbci.calibration.profile import CARD, load_profile

    profile = load_profile(name)
    said = lines(profile)
    if as_json:
        print_json({**asdict(profile.card), "fine_tuning": said})
        return
    typer.echo(f"# {profile.folder / CARD}")
    typer.echo(write_card(replace(profile.card, courses=())))
    if profile.card.courses:
        typer.echo(
            f"# courses: what the tokens of {len(profile.card.courses)} of its trials say, by "
            "which evidence and thresholds are set (the numbers are in the file, or with --json)"
        )
    for line in said:
        typer.echo(line)


def subjects_take(name: Name) -> None:
    """Make the fine-tuned decoder that is on offer the subject's profile."""
    from rtbci.calibration.offer import take_offer

    card = take_offer(name).card
    typer.echo(
        f"{name}: {card.decoder} decodes from now on; the decoder before is in the profile's "
        "history. Thresholds are those of every new decoder: set them with: rtbci calibrate "
        f"--subject {name} --protocol no-control"
    )


def subjects_forget(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a subject's profile, its history included, and her trials in your bank."""
    from rtbci.apps.fine_tuning import stop
    from rtbci.calibration.population.feature_bank import forget_features
    from rtbci.calibration.population.store import bank_file, forget
    from rtbci.calibration.profile import find_profile, forget_profile, load_profile

    profile, banked = find_profile(name), bank_file(name)
    if profile is None and not banked.exists():
        load_profile(name)  # says whom there is
    gone = [] if profile is None else [str(profile.folder)]
    gone += [str(banked)] if banked.exists() else []
    if not yes:
        typer.confirm(f"Remove {' and '.join(gone)} and all in it?", abort=True)
    if profile is not None:
        stop(profile.folder)
        forget_profile(name)
    forget(name)
    gone += [str(path) for path in forget_features(name)]
    typer.echo(
        f"{name} is forgotten: gone {'is' if len(gone) == 1 else 'are'} {' and '.join(gone)}; "
        "recordings stay where they are."
    )
