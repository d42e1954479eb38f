terraform {
  required_providers {
    strata = { source = "stratahq/strata" }
  }
}

provider "strata" {
  platform    = "acme"
  environment = "local"
}

module "cluster" {
  source = "../.."

  platform    = "acme"
  environment = "local"
}

output "kubeconfig" {
  value = module.cluster.kubeconfig
}
