variable "name" {
  description = "Name of the unit, which is the path of all its repositories."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$", var.name))
    error_message = "The name must be 1 to 40 lower-case letters, digits and hyphens, and begin and end with a letter or digit."
  }
}

variable "protected" {
  description = "Keeps repositories from being destroyed while images are in them, and gives a deleted key 30 days to come back instead of 7."
  type        = bool
  default     = true
  nullable    = false
}

variable "repositories" {
  description = "Names of the repositories below the unit's path."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for r in var.repositories : length(r) <= 200 && can(regex("^[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*$", r))])
    error_message = "Each repository must be at most 200 lower-case letters and digits, with single '.', '_', '-' or '/' between them."
  }
}

variable "untagged_days" {
  description = "Time after which images without a tag are deleted, in days."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.untagged_days >= 1 && var.untagged_days <= 3650 && floor(var.untagged_days) == var.untagged_days
    error_message = "The untagged_days must be a whole number of days from 1 to 3650."
  }
}
