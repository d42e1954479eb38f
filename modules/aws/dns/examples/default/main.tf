provider "aws" {
  region = "eu-west-1"

  default_tags {
    tags = { platform = "acme", environment = "prod" }
  }
}

module "dns" {
  source = "../.."

  zone = "acme.example"
}

output "name_servers" {
  value = module.dns.name_servers
}
