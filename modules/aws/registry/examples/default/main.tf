provider "aws" {
  region = "eu-west-1"
}

module "registry" {
  source = "../.."

  name         = "acme-dev-registry"
  protected    = false
  repositories = ["storefront", "payments/checkout"]
}

output "url" {
  description = "Where images are pushed to."
  value       = module.registry.url
}
