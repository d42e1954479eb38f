provider "aws" {
  region = "eu-west-1"

  default_tags {
    tags = { platform = "acme", environment = "prod" }
  }
}

module "network" {
  source = "../.."

  name   = "acme-prod"
  region = "eu-west-1"
  cidr   = "10.30.0.0/16"
}

output "vpc_id" {
  value = module.network.vpc_id
}
