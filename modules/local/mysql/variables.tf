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

variable "mysql_version" {
  description = "Version that the workload is written for. It gets MariaDB 10.11 here."
  type        = string
  default     = "8.4"
  nullable    = false

  validation {
    condition     = contains(["8.0", "8.4"], var.mysql_version)
    error_message = "The version must be one of 8.0 and 8.4."
  }
}

variable "size" {
  description = "Memory of the server: small (512 MiB), medium (1 GiB), large (2 GiB), xlarge (4 GiB). Processors are shared."
  type        = string
  default     = "small"
  nullable    = false

  validation {
    condition     = contains(["small", "medium", "large", "xlarge"], var.size)
    error_message = "The size must be small, medium, large or xlarge."
  }
}

variable "storage" {
  description = "Accepted, and without effect on one machine. The volume has the whole disk."
  type        = string
  default     = "20Gi"
  nullable    = false

  validation {
    condition     = var.storage == null || can(regex("^[1-9][0-9]*(Gi|Ti)$", var.storage))
    error_message = "Space must be an amount such as 20Gi or 2Ti."
  }
}

variable "max_storage" {
  description = "Accepted, and without effect on one machine."
  type        = string
  default     = null

  validation {
    condition     = var.max_storage == null || can(regex("^[1-9][0-9]*(Gi|Ti)$", var.max_storage))
    error_message = "Space must be an amount such as 20Gi or 2Ti."
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
  default     = 7
  nullable    = false

  validation {
    condition     = var.backup_days >= 0 && var.backup_days <= 35 && floor(var.backup_days) == var.backup_days
    error_message = "Backups are kept for 0 to 35 days."
  }
}

variable "maintenance_window" {
  description = "Accepted, and without effect on one machine."
  type        = string
  default     = "Sun 03:00"
  nullable    = false

  validation {
    condition     = can(regex("^(Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([01][0-9]|2[0-3]):[0-5][0-9]$", var.maintenance_window))
    error_message = "The window must be a day and a time such as \"Sun 03:00\"."
  }
}

variable "settings" {
  description = "Server settings by name. The module's secure settings win over them."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for k in keys(var.settings) : can(regex("^[a-z][a-z0-9_.]*$", k))])
    error_message = "Names of settings are lower-case letters, digits, _ and dots."
  }
}
