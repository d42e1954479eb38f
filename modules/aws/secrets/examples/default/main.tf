provider "aws" {
  region = "eu-west-1"

  default_tags {
    tags = { platform = "acme", environment = "prod" }
  }
}

module "secrets" {
  source = "../.."

  name         = "acme-prod-secrets"
  path_prefix  = "acme/prod"
  cluster_name = "acme-prod-cluster"
}

output "store" {
  value = module.secrets.store
}
