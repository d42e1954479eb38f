# A name in the environment's zone: another name (CNAME) of the environment's
# gateway, or of a given target.

resource "aws_route53_record" "this" {
  zone_id = var.zone_id
  name    = "${var.name}.${var.zone_name}"
  type    = "CNAME"
  ttl     = var.ttl
  records = [coalesce(var.target, "gateway.${var.zone_name}")]
}
