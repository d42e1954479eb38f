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

variable "partitions" {
  description = "Number of partitions, the most consumers that can share the work. May grow later, never shrink."
  type        = number
  default     = 6
  nullable    = false

  validation {
    condition     = var.partitions >= 1 && var.partitions <= 1000 && floor(var.partitions) == var.partitions
    error_message = "A topic has 1 to 1000 partitions."
  }
}

variable "replication" {
  description = "Accepted, and without effect on one machine."
  type        = number
  default     = 3
  nullable    = false

  validation {
    condition     = var.replication >= 1 && var.replication <= 5 && floor(var.replication) == var.replication
    error_message = "1 to 5 brokers hold a copy."
  }
}

variable "retention" {
  description = "Accepted, and without effect on one machine."
  type        = number
  default     = 168
  nullable    = false

  validation {
    condition     = var.retention >= 0 && var.retention <= 87600 && floor(var.retention) == var.retention
    error_message = "Messages are kept for 0 to 87600 hours."
  }
}

variable "compact" {
  description = "Accepted, and without effect on one machine."
  type        = bool
  default     = false
  nullable    = false
}
