"""What `laneshift init` makes of what a cluster has, or of a few answers: a plan with comments, and the objects that
are missing as files for git. Nothing here changes a cluster.

`reading` asks the cluster; `argo`, `flagger` and `routes` turn what it has into a `Draft`, `queries` the queries in it
into selectors; `writing` makes the plan's text of a draft and `manifests` the files.
"""
