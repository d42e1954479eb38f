terraform {
  required_version = ">= 1.10, < 2"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.46, < 7"
    }
    helm = {
      source  = "hashicorp/helm"
      version = ">= 3.0, < 4"
    }
  }
}
