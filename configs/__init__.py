"""The configs that come with the package; its code imports them as `randlabels.configs`."""
