output "host" {
  description = "Full host name."
  value       = local.host
}
