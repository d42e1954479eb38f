provider "aws" {
  region = "eu-west-1"
}

module "account" {
  source = "../.."

  platform    = "acme"
  environment = "prod"
  protected   = true
  name        = "acme-prod"
  email       = "aws-prod@acme.example"
  parent      = "ou-ab12-cdefgh34"
  budget      = 5000
}

output "account_id" {
  description = "Id of the new account."
  value       = module.account.account_id
}
