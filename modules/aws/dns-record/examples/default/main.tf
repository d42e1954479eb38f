provider "aws" {
  region = "eu-west-1"
}

module "record" {
  source = "../.."

  name      = "tools"
  zone_id   = "Z0123456789ABCDEFGHIJ"
  zone_name = "dev.acme.example"
}

output "host" {
  description = "tools.dev.acme.example, another name of gateway.dev.acme.example."
  value       = module.record.host
}
