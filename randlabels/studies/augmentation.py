"""Augmentation: do random crops and flips, with random labels, change what is learned?"""

from randlabels.studies.questions import Setting, question

STUDY = question(
    name="augmentation",
    title="Random labels with augmentation",
    asked="A reviewer's question; without augmentation in the paper",
    settings=(
        Setting("none", "no augmentation"),
        Setting("upstream", "crops and flips upstream", upstream={"data.augment": "crop_flip"}),
        Setting("both", "crops and flips in both", changes={"data.augment": "crop_flip"}),
    ),
)
