output "zone_id" {
  description = "Id of the zone."
  value       = aws_route53_zone.this.zone_id
}

output "zone_name" {
  description = "Name of the zone, without a final dot."
  # From the variable: the API answers with a final dot.
  value = var.zone
}

output "name_servers" {
  description = "Name servers that the parent zone must delegate to."
  value       = aws_route53_zone.this.name_servers
}
