"""``run`` and ``diff``: transforms, run here, or compared with what production holds."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.cli.cli_config import ActionCommand

from airflow_dataquality.cli.arguments import CONN_ID, arg
from airflow_dataquality.cli.projects import (
    DATE,
    DIALECT,
    FOLDER,
    SELECTORS,
    SOME_SELECTORS,
    TAG,
    day_of,
    loaded,
    selected,
)
from airflow_dataquality.cli.running import DONE, FAILED, IMPOSSIBLE, JSON, command, counted, print_json, show, shown

if TYPE_CHECKING:
    from airflow_dataquality.transforms.diff import Found
    from airflow_dataquality.transforms.runner import Step


@command
def run(args: argparse.Namespace) -> int:
    """Run transforms for a day, each after those that it reads."""
    from airflow_dataquality.cli.embedded import embedded
    from airflow_dataquality.transforms import runner

    _refuse_unused(args)
    day, project = day_of(args.date), loaded(args)
    chosen = selected(project, args)
    runner.refuse_mistakes(project, chosen)
    plans = [runner.planned(each, day) for each in chosen]  # of all, before anything is done
    if args.dry_run:
        _show_plan(plans, day, as_json=args.json)
        return DONE
    steps = runner.steps_of(chosen)
    with contextlib.ExitStack() as stack:
        server = None
        if args.embedded:
            schemas, seeds = runner.schemas_of(chosen), args.seed or ()
            server = stack.enter_context(embedded(args.conn_id, schemas, seeds, flights=args.flights))
        execute = runner.executing(project, args.conn_id, day)
        _go(args, project, steps, execute, day)
        if server is not None and args.hold:
            _hold(server.uri())
    return FAILED if any(step.status == runner.FAILED for step in steps) else DONE


def _refuse_unused(args: argparse.Namespace) -> None:
    """Refuse what would do nothing.

    :raises SpecError: naming it
    """
    from airflow_dataquality.errors import SpecError

    unused = [f"--{word}" for word in ("seed", "flights", "hold") if getattr(args, word)]
    if unused and not args.embedded:
        raise SpecError(f"{' and '.join(unused)} without --embedded", hint="add --embedded, or leave them out")


def _show_plan(plans: Sequence[Any], day: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"date": day, "steps": [plan.as_dict() for plan in plans]})
        return
    print(f"-- {counted(len(plans), 'transform')} for {day}, in this order; nothing is run")
    for number, plan in enumerate(plans, 1):
        target = f" -> {plan.target}" if plan.target else ""
        print(f"\n-- {number}. {plan.transform.name} ({plan.transform.kind}){target}")
        if plan.files is not None:
            print(f"-- of {plan.files}")
        elif plan.sql is None and plan.transform.inputs:
            print(f"-- of {', '.join(plan.transform.inputs)}")
        if plan.sql is not None:
            print(f"{plan.sql.rstrip().rstrip(';')};")


def _go(args: argparse.Namespace, project: Any, steps: Sequence[Step], execute: Any, day: str) -> None:
    from airflow_dataquality.cli.progress import Counted, Silent, progress
    from airflow_dataquality.transforms import runner

    where = "the embedded Postgres" if args.embedded else args.conn_id
    title, verbose = f"{day}, on {where}", args.verbose
    teller: Counted = Silent(steps, quiet=not verbose) if args.json else progress(steps, title, verbose=verbose)
    with teller:
        runner.go(project, steps, execute, teller.tell, keep_going=args.keep_going)
    if args.json:
        print_json({"date": day, "connection": args.conn_id, "embedded": args.embedded, **_counts(steps),
                    "steps": [step.as_dict() for step in steps]})  # fmt: skip
        return
    for step in steps:
        if step.status == runner.FAILED:
            print(f"\nError: {step.transform.name}: {step.why}", file=sys.stderr)
            if step.hint:
                print(f"Hint: {step.hint}", file=sys.stderr)
    ends = ", ".join(f"{count:,} {status}" for status, count in _counts(steps).items() if count)
    print(f"{counted(len(steps), 'transform')}: {ends}")


def _counts(steps: Sequence[Step]) -> dict[str, int]:
    return {status: sum(step.status == status for step in steps) for status in ("done", "failed", "skipped")}


def _hold(address: str) -> None:
    """Wait, so that people can look at what was made."""
    print(f"\nThe tables are at {address} until you press Enter.", file=sys.stderr)
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        input()


@command
def diff(args: argparse.Namespace) -> int:
    """Compare what the SQL of transforms yields now with what their tables hold."""
    from airflow_dataquality.errors import DataQualityError
    from airflow_dataquality.transforms import runner
    from airflow_dataquality.transforms.diff import COMPARED
    from airflow_dataquality.transforms.diff import diff as compare

    day, project = day_of(args.date), loaded(args)
    chosen = selected(project, args)
    runner.refuse_mistakes(project, chosen)
    if any(each.kind in COMPARED for each in chosen) and len(chosen) > 1:
        chosen = [each for each in chosen if each.kind in COMPARED]  # of a selection, what can be compared
    found: list[Found] = []
    errors: dict[str, DataQualityError] = {}
    for each in chosen:
        try:
            found.append(compare(each, conn_id=args.conn_id, day=day, samples=args.samples))
        except DataQualityError as error:
            if len(chosen) == 1:
                raise
            errors[each.name] = error
    if args.json:
        told = {name: {"error": error.message, "hint": error.hint} for name, error in errors.items()}
        print_json({"date": day, "transforms": [each.as_dict() for each in found], "errors": told})
    else:
        _show_differences(found, errors)
    if errors:
        return IMPOSSIBLE
    return FAILED if args.exit_code and not all(each.same for each in found) else DONE


def _show_differences(found: Sequence[Found], errors: Any) -> None:
    from airflow_dataquality.cli.differences import show_difference

    for number, each in enumerate(found):
        print(end="\n" if number else "")
        show_difference(each)
    for name, error in errors.items():
        message = error.message if error.message.startswith(name) else f"{name}: {error.message}"
        print(f"\nError: {message}" + (f"\nHint: {error.hint}" if error.hint else ""), file=sys.stderr)
    if len(found) > 1 or (found and errors):
        same = sum(each.same for each in found)
        print()
        show([{"transform": each.transform, "table": each.table, "partition": shown(each.partition),
               "production": each.rows[0], "changed": each.rows[1], "": "same" if each.same else "differs"}
              for each in found])  # fmt: skip
        print(f"{counted(len(found), 'table')} compared: {same} the same, {len(found) - same} different")


COMMANDS = (
    ActionCommand(
        name="run",
        help="Run transforms for a day, without Airflow's scheduler, each after those that it reads",
        func=run,
        args=(
            SELECTORS,
            arg("--start", "-s", metavar="NAME", help="from this one on, what needs it"),
            arg("--end", "-e", metavar="NAME", help="up to this one, what it needs"),
            TAG,
            DATE,
            CONN_ID,
            arg(
                "--embedded", action="store_true",
                help="on a Postgres of its own, which lasts as long as the command, known as --conn-id",
            ),
            arg("--seed", nargs="+", metavar="FILE", help="SQL that makes the tables which --embedded begins with"),
            arg("--flights", action="store_true", help="have the demo's flights in --embedded, in the schema raw"),
            arg("--hold", action="store_true", help="keep --embedded until Enter is pressed, and say where it is"),
            arg("--dry-run", action="store_true", help="print the order and the SQL, and run nothing"),
            arg("--keep-going", action="store_true", help="after a failure, run what does not depend on it"),
            arg("--verbose", "-v", action="store_true", help="show what the operators log"),
            FOLDER,
            DIALECT,
            JSON,
        ),
    ),
    ActionCommand(
        name="diff",
        help="Compare what the SQL of transforms yields now with what their tables hold",
        func=diff,
        args=(
            SOME_SELECTORS,
            TAG,
            DATE,
            CONN_ID,
            arg("--samples", type=int, default=5, metavar="N", help="rows shown of each difference (default: 5)"),
            arg("--exit-code", action="store_true", help="exit with 1 if anything differs"),
            FOLDER,
            DIALECT,
            JSON,
        ),
    ),
)  # fmt: skip
