# A name below the environment's domain. Names that end in localhost are this machine's
# by RFC 6761, where the node serves the environment's routes: there is no zone to write
# it into, and nothing to make.

locals {
  host = "${var.name}.${var.zone_name}"
}
