# The hosted zone of an environment. The parent zone must delegate to its name
# servers once.

# Waives route53-query-logging: logs of queries name who looks for what; the names
#   in the zone are public.
# Waives route53-dnssec: a zone can be signed only when its parent is, which this
#   module cannot see.

resource "aws_route53_zone" "this" {
  name    = var.zone
  comment = "Made by Strata"

  # Programs in the cluster write records of their own, which would block the end
  # of a zone that is meant to go.
  force_destroy = !var.protected

  tags = { Name = var.zone }
}
