provider "aws" {
  region = "eu-west-1"

  default_tags {
    tags = { platform = "acme", environment = "prod" }
  }
}

module "dns_record" {
  source = "../.."

  name      = "tools"
  zone_id   = "Z0123456789ABCDEFGHIJ"
  zone_name = "acme.example"
}

output "host" {
  value = module.dns_record.host
}
