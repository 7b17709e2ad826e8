"""What a lazy reader could learn of a cohort of phantoms or of bent films: a logistic regression on
image statistics and, where files have them, on metadata. Prints its ROC-AUC over ten folds, which never
share a patient, and the statistics that alone are off 0.5.

    plumbline cohort phantom --films 4000 --prevalence 0.5 --seed 77 --side 512 --format dicom --out COHORT
    plumbline cohort bend nih --films 4000 --seed 77 --out COHORT
    python host/tests/references/shortcuts.py COHORT        (numpy, pillow, pydicom, scikit-learn)
"""

import csv
import sys
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def statistics(path):
    if path.suffix == ".png":
        film, grey = None, np.asarray(Image.open(path)) / 65535.0
    else:
        film = pydicom.dcmread(path)
        grey = film.pixel_array / (2.0**film.BitsStored - 1)
        if film.PhotometricInterpretation == "MONOCHROME1":
            grey = 1 - grey
    rows, columns = grey.shape
    left, right = grey[:, : columns // 2], grey[:, -(columns // 2) :]
    upper, lower = grey[: rows // 2], grey[-(rows // 2) :]
    borders = {"top": grey[0], "bottom": grey[-1], "left": grey[:, 0], "right": grey[:, -1]}
    seen = {"mean": grey.mean(), "deviation": grey.std()}
    for share in (1, 5, 25, 50, 75, 95, 99):
        seen[f"percentile {share}"] = np.percentile(grey, share)
    for name, border in borders.items():
        seen[f"{name} border's mean"] = border.mean()
        seen[f"{name} border's deviation"] = border.std()
    seen["left against right"] = left.mean() - right.mean()
    seen["left against right, whichever"] = abs(left.mean() - right.mean())
    seen["left's deviation against right's"] = abs(left.std() - right.std())
    seen["asymmetry"] = np.abs(left - right[:, ::-1]).mean()
    seen["upper against lower"] = upper.mean() - lower.mean()
    seen["aspect"] = columns / rows
    seen["rows"] = rows
    seen["columns"] = columns
    seen["file size"] = path.stat().st_size
    if film is not None:
        seen["bits"] = film.BitsStored
        seen["window centre"] = float(film.WindowCenter)
        seen["window width"] = float(film.WindowWidth)
        seen["inverted"] = film.PhotometricInterpretation == "MONOCHROME1"
        seen["pixel spacing"] = float(film.PixelSpacing[0])
        seen["age"] = int(film.PatientAge[:3])
        seen["female"] = film.PatientSex == "F"
        seen["PA"] = film.ViewPosition == "PA"
    return {name: float(value) for name, value in seen.items()}


def main(folder):
    with open(folder / "cohort.csv", newline="") as manifest:
        rows = [row for row in csv.DictReader(manifest) if row["label"]]
    table = [statistics(folder / row["film"]) for row in rows]
    features = np.array([list(seen.values()) for seen in table])
    labels = np.array([int(row["label"]) for row in rows])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000, C=0.1))
    folds = StratifiedGroupKFold(10, shuffle=True, random_state=0)
    patients = [row["patient"] for row in rows]
    scores = cross_val_predict(
        model, features, labels, groups=patients, cv=folds, method="predict_proba"
    )[:, 1]
    print(f"{len(labels)} films, {features.shape[1]} statistics: {roc_auc_score(labels, scores):.3f}")
    for name, column in zip(table[0], features.T):
        alone = roc_auc_score(labels, column)
        if abs(alone - 0.5) > 0.03:
            print(f"  {name} alone: {alone:.3f}")


main(Path(sys.argv[1]))
