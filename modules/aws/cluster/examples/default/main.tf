provider "aws" {
  region = "eu-west-1"

  default_tags {
    tags = { platform = "acme", environment = "prod" }
  }
}

module "cluster" {
  source = "../.."

  name       = "acme-prod-cluster"
  subnet_ids = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]

  node_pools = [
    { name = "general", instance = "m7g.large", min = 3, max = 30 },
    { name = "spot", instance = "m7i.large", max = 20, spot = true },
    { name = "gpu", instance = "g6.xlarge", max = 4, accelerator = "nvidia-l4" },
  ]
}

output "endpoint" {
  value = module.cluster.endpoint
}
