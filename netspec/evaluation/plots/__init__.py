"""Pictures of runs, networks and results, by matplotlib, for papers: no display is needed."""
