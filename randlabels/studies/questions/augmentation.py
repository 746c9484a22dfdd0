"""Augmentation: do random crops and flips, with random labels, change what is learned?"""

from randlabels.studies.families.one_change import FEW_IMAGES, FEW_IMAGES_ADDED, Setting, question

_CROPS = {"data.augment": "crop_flip"}

STUDY = question(
    name="augmentation",
    title="Random labels with augmentation",
    asked="A reviewer's question; without augmentation in the paper",
    settings=(
        Setting("none", "no augmentation"),
        Setting("upstream", "crops and flips upstream", upstream=_CROPS),
        Setting("both", "crops and flips in both", changes=_CROPS),
        Setting("few_none", "few images, no augmentation", recipe=FEW_IMAGES),
        Setting("few_upstream", "few images, crops and flips", upstream=_CROPS, recipe=FEW_IMAGES),
    ),
    primary=("upstream", "few_upstream"),
    tuning=FEW_IMAGES_ADDED,
)
