provider "aws" {
  region = "eu-west-1"
}

module "dns" {
  source = "../.."

  zone      = "dev.acme.example"
  protected = false
}

output "name_servers" {
  description = "What the parent zone must delegate to."
  value       = module.dns.name_servers
}
