terraform {
  required_version = ">= 1.10, < 2"

  required_providers {
    strata = {
      source  = "stratahq/strata"
      version = ">= 0.1, < 2"
    }
  }
}
