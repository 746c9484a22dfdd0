"""ImageNet, read from disk batch by batch: Appendix B. Needs `pip install randlabels[stream]`.

    python -m randlabels.main --config=imagenet:resnet18 --workdir=runs/resnet18

resnet18 and vgg16 learn imagenet2012 (the shorter side of a picture is made 256 pixels long, and a
square of 224 is cut from its centre); resnet18_64 and vgg16_64 imagenet_resized/64x64. The paper
gives no sizes; here half of what is used is upstream, with 5 random classes as for CIFAR-10. In
short and smoke all four learn drawn_jpegs, which `python -m randlabels.data.drawn` writes: JPEG
pictures of many sizes, too.
"""

import functools

from randlabels.configs import base

_CHANGES = {
    "data.stream": True,
    "labels.num_classes": 5,
    "model.init_scale": 2**0.5,
    "optimizer.decay_at": (0.5, 0.75),
}
_AT: base.Columns = {
    **base.sizes((500_000, 2_000, 48), (500_000, 2_000, 48), (0, 500, 16)),
    "train.epochs": (60, 40, 2),
    "train.batch_size": (256, 64, 16),
    "train.precision": ("bfloat16", base.SAME, base.SAME),
    "population.seeds": (6, 6, 2),
}
_PICTURES: base.Columns = {
    "data.name": ("imagenet2012", "drawn_jpegs", "drawn_jpegs"),
    "data.short_side": (256, 40, 40),
    "data.image_size": (224, 32, 32),
}
_RESIZED: base.Columns = {
    "data.name": ("imagenet_resized/64x64", "drawn_jpegs", "drawn_jpegs"),
    "data.short_side": (0, 40, 40),
    "data.image_size": (0, 32, 32),
}
_RESNET = {**_CHANGES, "model.name": "resnet18", "optimizer.learning_rate": 0.03}
_VGG = {**_CHANGES, "model.name": "vgg16", "optimizer.learning_rate": 0.003}
_RESNET_AT: base.Columns = {**_AT, "model.width": (1.0, 0.125, 0.03)}
_VGG_AT: base.Columns = {**_AT, "model.width": (1.0, 0.125, 0.04)}

RECIPES: base.Recipes = {
    "resnet18": base.Recipe(
        changes={**_RESNET, "model.stem": "imagenet"}, at={**_RESNET_AT, **_PICTURES}
    ),
    "vgg16": base.Recipe(changes=_VGG, at={**_VGG_AT, **_PICTURES}),
    "resnet18_64": base.Recipe(changes=_RESNET, at={**_RESNET_AT, **_RESIZED}),
    "vgg16_64": base.Recipe(changes=_VGG, at={**_VGG_AT, **_RESIZED}),
}

# A recipe at a budget, as "recipe.budget"; either may be left out.
get_config = functools.partial(base.from_recipes, RECIPES)
