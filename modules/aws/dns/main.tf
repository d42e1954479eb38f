resource "aws_route53_zone" "this" {
  name    = var.zone
  comment = "Made by Strata"

  # Programs in the cluster write records of their own, which would block the end
  # of a zone that is meant to go.
  force_destroy = !var.protected

  tags = { Name = var.zone }
}
