"""`python -m randlabels` is the console command `randlabels`."""

from randlabels.command import main

main()
