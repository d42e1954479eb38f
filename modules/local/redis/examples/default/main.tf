terraform {
  required_providers {
    strata = { source = "stratahq/strata" }
  }
}

provider "strata" {
  platform    = "acme"
  environment = "local"
}

module "redis" {
  source = "../.."

  name         = "acme-local-storefront-cache"
  kubeconfig   = "/var/lib/strata/acme-local/kubeconfig"
  secret_store = "kubernetes:strata-secrets"
  secret_path  = "acme/local/storefront/cache"
}

output "host" {
  value = module.redis.host
}
