# A Kubernetes cluster of one node on this machine: control plane and node are processes
# in namespaces of their own, whose data lies in one folder. It is called after platform
# and environment, so that those of several platforms run side by side.
#
# Deleting it deletes all that is in it, which is refused where the environment is
# protected.

resource "strata_cluster" "this" {
  name      = "${var.platform}-${var.environment}"
  protected = var.protected
}
