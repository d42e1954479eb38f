terraform {
  required_providers {
    strata = { source = "stratahq/strata" }
  }
}

provider "strata" {
  platform    = "acme"
  environment = "local"
}

module "secrets" {
  source = "../.."

  name        = "acme-local-secrets"
  path_prefix = "acme/local"
  kubeconfig  = "/var/lib/strata/acme-local/kubeconfig"
}

output "store" {
  value = module.secrets.store
}
