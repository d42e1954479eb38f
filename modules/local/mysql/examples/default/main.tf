terraform {
  required_providers {
    strata = { source = "stratahq/strata" }
  }
}

provider "strata" {
  platform    = "acme"
  environment = "local"
}

module "mysql" {
  source = "../.."

  name         = "acme-local-loyalty-db"
  kubeconfig   = "/var/lib/strata/acme-local/kubeconfig"
  secret_store = "kubernetes:strata-secrets"
  secret_path  = "acme/local/loyalty/db"
}

output "host" {
  value = module.mysql.host
}
