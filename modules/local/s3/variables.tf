variable "name" {
  description = "Name of the unit, and the beginning of the names of what is in it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,98}[a-z0-9]$", var.name))
    error_message = "The name must be 2 to 100 lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "protected" {
  description = "Refuses to delete or replace what holds data."
  type        = bool
  default     = true
  nullable    = false
}

variable "kubeconfig" {
  description = "File that says how to reach the cluster; a relative path is of the repository."
  type        = string
  nullable    = false

  validation {
    condition     = length(var.kubeconfig) > 0
    error_message = "The kubeconfig must be the path of a file."
  }
}

variable "secret_store" {
  description = "Secret store of the environment."
  type        = string
  nullable    = false

  validation {
    condition     = startswith(var.secret_store, "kubernetes:")
    error_message = "The store must be one in a cluster, such as kubernetes:strata-secrets."
  }
}

variable "secret_path" {
  description = "Path below which the unit's secrets are kept in the store."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_][A-Za-z0-9/_.-]{0,399}$", var.secret_path))
    error_message = "The path must be letters, digits and / _ . -, at most 400, and not begin with a slash."
  }
}

variable "versioning" {
  description = "Keeps what is overwritten or deleted."
  type        = bool
  default     = true
  nullable    = false
}

variable "noncurrent_days" {
  description = "Accepted, and without effect on one machine. What is overwritten is kept."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.noncurrent_days >= 1 && var.noncurrent_days <= 3650
    error_message = "They are kept for 1 to 3650 days."
  }
}

variable "expire_days" {
  description = "Accepted, and without effect on one machine."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.expire_days >= 0 && var.expire_days <= 3650
    error_message = "Objects are deleted after 1 to 3650 days, or never (0)."
  }
}

variable "cors_origins" {
  description = "Origins of web pages that may read and write with presigned URLs."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for o in var.cors_origins : can(regex("^https?://[A-Za-z0-9.*-]+(:[0-9]+)?$", o))])
    error_message = "Origins are such as https://shop.acme.example."
  }
}
