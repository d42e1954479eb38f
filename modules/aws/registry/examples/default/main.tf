provider "aws" {
  region = "eu-west-1"

  default_tags {
    tags = { platform = "acme", environment = "prod" }
  }
}

module "registry" {
  source = "../.."

  name         = "acme-prod-registry"
  repositories = ["storefront", "payments/checkout"]
}

output "url" {
  value = module.registry.url
}
