output "host" {
  description = "Full host name."
  value       = aws_route53_record.this.name
}
