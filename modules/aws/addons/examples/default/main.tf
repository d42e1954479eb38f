provider "aws" {
  region = "eu-west-1"

  default_tags {
    tags = { platform = "acme", environment = "prod" }
  }
}

provider "helm" {
  kubernetes = {
    host = "https://0123456789ABCDEF0123456789ABCDEF.gr7.eu-west-1.eks.amazonaws.com"

    # A token of a quarter of an hour, whenever one is needed.
    exec = {
      api_version = "client.authentication.k8s.io/v1beta1"
      command     = "aws"
      args        = ["eks", "get-token", "--cluster-name", "acme-prod-cluster", "--region", "eu-west-1", "--output", "json"]
    }
  }
}

module "addons" {
  source = "../.."

  name           = "acme-prod-addons"
  platform       = "acme"
  environment    = "prod"
  cluster_name   = "acme-prod-cluster"
  vpc_id         = "vpc-0123456789abcdef0"
  ingress_domain = "acme.example"
  zone_id        = "Z0123456789ABCDEFGHIJ"
  zone_name      = "acme.example"
  acme           = true
  istio          = true
  trust_domain   = "prod.acme.example"
}

output "charts" {
  value = module.addons.charts
}
