"""Measures bundles on real and near-real films that are not the product's, and prints a table of each.

    python3 host/evidence.py --real REAL --nih NIH --work WORK --held-out NAME=COHORT... BUNDLE...

REAL is a folder with the collections `nih`, `spine` and `spinal-ai`, each with its table of films. Of `nih`, only
the patients that the cohort --nih holds for testing are measured, as networks learn from the others. Cohorts
of --held-out are measured on their test films. Needs Python alone, and the program `plumbline`.
"""

import argparse
import csv
import json
import random
import subprocess
from pathlib import Path


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plumbline", default="plumbline", help="the program")
    parser.add_argument("--real", type=Path, required=True, help="the folder of collections")
    parser.add_argument("--nih", type=Path, required=True, help="the cohort that networks learnt from, for its test patients")
    parser.add_argument("--held-out", nargs="*", default=[], metavar="NAME=COHORT")
    parser.add_argument("--work", type=Path, required=True, help="a folder for cohorts and predictions")
    parser.add_argument("bundles", type=Path, nargs="+")
    return parser.parse_args()


def rows(table):
    with open(table, newline="") as file:
        return list(csv.DictReader(file))


def collections(real, nih):
    """The films of each collection, with label and patient."""
    tested = {row["patient"] for row in rows(nih / "cohort.csv") if row["split"] == "test"}
    films = [row for row in rows(real / "nih" / "films.csv") if row["patient"] in tested]
    for finding in ("no finding", "pneumonia"):
        yield f"chest, {finding}", real / "nih", [
            {"path": row["path"], "label": 0, "patient": row["patient"]}
            for row in films
            if row["finding"] == finding
        ]
    yield "spine", real / "spine", [
        {"path": row["file"], "label": int(row["label"] != "normal"), "patient": row["file"]}
        for row in rows(real / "spine" / "labels.csv")
    ]
    near = rows(real / "spinal-ai" / "films.csv")
    yield "near-real spine", real / "spinal-ai", [
        {"path": row["path"], "label": row["label"], "patient": row["path"]} for row in near
    ]


def cohort(program, work, name, folder, films):
    """Makes the cohort of a collection, all films for testing, unless it is there."""
    out = work / name.replace(", ", "-").replace(" ", "-")
    if not (out / "cohort.csv").exists():
        source = work / f"{out.name}-source"
        source.mkdir(parents=True, exist_ok=True)
        for film in films:
            (source / film["path"]).write_bytes((folder / film["path"]).read_bytes())
        with open(source / "films.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, ["path", "label", "patient", "split"])
            writer.writeheader()
            writer.writerows({**film, "split": "test"} for film in films)
        command = [program, "cohort", "import", "folder", source / "films.csv", "--copy", "--out", out]
        subprocess.run(command, check=True)
    return out


def measured(program, bundle, folder, out):
    """A bundle's measures on a cohort, and its predictions."""
    command = [program, "evaluate", "--bundle", bundle, "--cohort", folder, "--out", out, "--json"]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(run.stdout), rows(out / "predictions.csv")


def share(films, threshold, draws=2000):
    """The share of films that are referred, and its 95 % interval: patients are drawn again and again."""
    patients = {}
    for film in films:
        counts = patients.setdefault(film["patient"], [0, 0])
        counts[0] += float(film["probability"]) >= threshold
        counts[1] += 1
    counts = list(patients.values())
    chance = random.Random(1)

    def of(drawn):
        return sum(referred for referred, _ in drawn) / sum(count for _, count in drawn)

    drawn = sorted(of(chance.choices(counts, k=len(counts))) for _ in range(draws))
    return of(counts), drawn[draws * 25 // 1000], drawn[draws * 975 // 1000 - 1]


def cell(value, low, high, digits):
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def line(name, measures, films):
    """The table's row of a cohort."""
    cells = [name, str(measures["n"]), str(measures["positives"])]
    interval = measures["roc_auc_95"]
    if interval:
        cells.append(cell(measures["roc_auc"], interval["low"], interval["high"], 3))
    else:
        cells.append("")
    for label in ("1", "0"):
        of_class = [film for film in films if film["label"] == label]
        cells.append(cell(*(100 * part for part in share(of_class, measures["threshold"])), 1) if of_class else "")
    return f"| {' | '.join(cells)} |"


def main():
    args = arguments()
    args.work.mkdir(parents=True, exist_ok=True)
    cohorts = {
        name: cohort(args.plumbline, args.work, name, folder, films)
        for name, folder, films in collections(args.real, args.nih)
    }
    for held_out in args.held_out:
        name, folder = held_out.split("=", 1)
        cohorts[name] = Path(folder)
    for bundle in args.bundles:
        manifest = json.loads((bundle / "manifest.json").read_text())
        version = manifest["model_version"]
        print(f"\n**{manifest['model']} {version}**, positive from {manifest['threshold']:.3f}\n")
        print("| films | number | positive | ROC-AUC | positives referred, % | negatives referred, % |")
        print("|---|---|---|---|---|---|", flush=True)
        for name, folder in cohorts.items():
            out = args.work / "measured" / bundle.name / version / name
            print(line(name, *measured(args.plumbline, bundle, folder, out)), flush=True)


if __name__ == "__main__":
    main()
