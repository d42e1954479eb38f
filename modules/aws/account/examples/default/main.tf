provider "aws" {
  region = "eu-west-1"

  default_tags {
    tags = { platform = "acme", environment = "prod" }
  }
}

module "account" {
  source = "../.."

  platform    = "acme"
  environment = "prod"
  name        = "acme-prod"
  email       = "aws-prod@acme.example"
  parent      = "ou-ab12-cdefgh34"
  budget      = 5000
}

output "account_id" {
  value = module.account.account_id
}
