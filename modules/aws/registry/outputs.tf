output "url" {
  description = "Registry and path that images are pushed to, without a scheme."
  value       = "${local.account}.dkr.ecr.${local.region}.${local.dns_suffix}/${var.name}"
}
