terraform {
  required_providers {
    strata = { source = "stratahq/strata" }
  }
}

provider "strata" {
  platform    = "acme"
  environment = "local"
}

module "s3" {
  source = "../.."

  name         = "acme-local-catalog-images"
  kubeconfig   = "/var/lib/strata/acme-local/kubeconfig"
  secret_store = "kubernetes:strata-secrets"
  secret_path  = "acme/local/catalog/images"
}

output "host" {
  value = module.s3.endpoint
}
