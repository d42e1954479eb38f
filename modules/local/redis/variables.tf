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

variable "redis_version" {
  description = "Version that the workload is written for. It gets Redis 7.0 here."
  type        = string
  default     = "7.2"
  nullable    = false

  validation {
    condition     = contains(["7.0", "7.2"], var.redis_version)
    error_message = "The version must be one of 7.0 and 7.2."
  }
}

variable "size" {
  description = "Memory of the store: small (256 MiB), medium (512 MiB), large (1 GiB), xlarge (2 GiB). Processors are shared."
  type        = string
  default     = "small"
  nullable    = false

  validation {
    condition     = contains(["small", "medium", "large", "xlarge"], var.size)
    error_message = "The size must be small, medium, large or xlarge."
  }
}

variable "high_availability" {
  description = "Accepted, and without effect on one machine."
  type        = bool
  default     = null
}

variable "backup_days" {
  description = "Accepted, and without effect on one machine."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.backup_days >= 0 && var.backup_days <= 35 && floor(var.backup_days) == var.backup_days
    error_message = "Backups are kept for 0 to 35 days."
  }
}

variable "eviction" {
  description = "What the store drops when memory is full; none refuses writes instead."
  type        = string
  default     = "least-recently-used"
  nullable    = false

  validation {
    condition     = contains(["none", "least-recently-used", "least-frequently-used", "soonest-to-expire"], var.eviction)
    error_message = "Eviction must be none, least-recently-used, least-frequently-used or soonest-to-expire."
  }
}
