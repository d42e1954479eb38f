package model

// Workload is a Score file, score.dev/v1b1: workloads/<name>/score.yaml.
// The shape follows the Score specification's JSON Schema field by field.
type Workload struct {
	APIVersion string               `json:"apiVersion" doc:"Version of the Score specification." rule:"required;enum=score.dev/v1b1"`
	Metadata   WorkloadMetadata     `json:"metadata" doc:"Names the workload." rule:"required"`
	Service    *Service             `json:"service,omitempty" doc:"Network ports that the workload offers to others."`
	Containers map[string]Container `json:"containers" doc:"Containers by name." rule:"required;minitems=1;keypattern=score-name"`
	Resources  map[string]Resource  `json:"resources,omitempty" doc:"What the workload needs beyond its containers, by a name of its own choosing." rule:"keypattern=score-name"`
	Source     Source               `json:"-"`
}

// WorkloadMetadata is a Score file's metadata. The specification allows any
// further field; Strata reads team and keeps the rest for placeholders.
type WorkloadMetadata struct {
	Name        string            `json:"name" doc:"Name of the workload, unique on the platform." rule:"required;pattern=score-name"`
	Team        string            `json:"team,omitempty" doc:"Team that owns the workload. It lives in the namespace of that name."`
	Annotations map[string]string `json:"annotations,omitempty" doc:"Free annotations, copied to the workload's Kubernetes objects." rule:"keypattern=score-annotation"`
	Extra       map[string]any    `json:"-" rule:"rest" doc:"Any further metadata; placeholders can name it."`
}

// Service lists the ports of a workload.
type Service struct {
	Ports map[string]ServicePort `json:"ports,omitempty" doc:"Ports by name." rule:"keypattern=score-name"`
}

// ServicePort is one port of a workload.
type ServicePort struct {
	Port       int    `json:"port" doc:"Port that callers use." rule:"required;min=1;max=65535"`
	Protocol   string `json:"protocol,omitempty" doc:"Transport protocol." rule:"enum=TCP|UDP;default=TCP"`
	TargetPort int    `json:"targetPort,omitempty" doc:"Port that the container listens on. Default: the same as port." rule:"min=1;max=65535"`
}

// Target returns the port that the container listens on.
func (p ServicePort) Target() int {
	if p.TargetPort != 0 {
		return p.TargetPort
	}
	return p.Port
}

// Container is one container of a workload.
type Container struct {
	Image          string                        `json:"image" doc:"Image reference, or \".\" for the image that the platform builds from the workload's folder." rule:"required;minlength=1"`
	Command        []string                      `json:"command,omitempty" doc:"Entrypoint instead of the image's."`
	Args           []string                      `json:"args,omitempty" doc:"Arguments instead of the image's."`
	Variables      map[string]string             `json:"variables,omitempty" doc:"Environment variables. Values may hold placeholders such as ${resources.db.host}." rule:"keypattern=score-variable"`
	Files          map[string]ContainerFile      `json:"files,omitempty" doc:"Files to put into the container, by absolute path." rule:"listkey=target"`
	Volumes        map[string]ContainerVolume    `json:"volumes,omitempty" doc:"Volumes to mount, by absolute path." rule:"listkey=target"`
	Before         map[string]ContainerDependsOn `json:"before,omitempty" doc:"Containers that this one must come before, by name." rule:"keypattern=score-name"`
	Resources      *ContainerResources           `json:"resources,omitempty" doc:"Requests and limits of CPU and memory."`
	LivenessProbe  *Probe                        `json:"livenessProbe,omitempty" doc:"The container is restarted when this fails."`
	ReadinessProbe *Probe                        `json:"readinessProbe,omitempty" doc:"The container gets traffic only while this succeeds."`
}

// ContainerDependsOn says what another container waits for.
type ContainerDependsOn struct {
	Ready string `json:"ready" doc:"State this container must have reached before the other starts." rule:"required;enum=started|healthy|complete"`
}

// ContainerFile is a file put into a container. Exactly one of Source, Content
// and BinaryContent is set.
type ContainerFile struct {
	Target        string  `json:"target,omitempty" doc:"Absolute path in the container (only in the old list form)." rule:"minlength=1"`
	Mode          string  `json:"mode,omitempty" doc:"Permissions in octal, such as \"0444\"." rule:"pattern=file-mode"`
	Source        string  `json:"source,omitempty" doc:"File to take the content from, relative to the Score file." rule:"minlength=1;exactlyone"`
	Content       *string `json:"content,omitempty" doc:"Content as text. Placeholders are expanded." rule:"exactlyone"`
	BinaryContent *string `json:"binaryContent,omitempty" doc:"Content in base64. Placeholders are not expanded." rule:"exactlyone"`
	NoExpand      bool    `json:"noExpand,omitempty" doc:"Leaves placeholders as they stand."`
	// Data is the content of Source, read when the file was loaded.
	Data []byte `json:"-"`
}

// ContainerVolume mounts a volume into a container.
type ContainerVolume struct {
	Target   string `json:"target,omitempty" doc:"Absolute path in the container (only in the old list form)."`
	Source   string `json:"source" doc:"The volume: usually ${resources.NAME} or ${resources.NAME.source}." rule:"required"`
	Path     string `json:"path,omitempty" doc:"Folder within the volume."`
	ReadOnly bool   `json:"readOnly,omitempty" doc:"Mounts the volume read-only."`
}

// ContainerResources are a container's requests and limits.
type ContainerResources struct {
	Limits   *Compute `json:"limits,omitempty" doc:"The most that the container may use."`
	Requests *Compute `json:"requests,omitempty" doc:"What the container is guaranteed."`
}

// Compute is an amount of CPU and memory.
type Compute struct {
	CPU    string `json:"cpu,omitempty" doc:"CPUs, such as 0.5 or 500m." rule:"pattern=score-cpu"`
	Memory string `json:"memory,omitempty" doc:"Memory in bytes, such as 256Mi." rule:"pattern=score-memory"`
}

// Probe checks a container. At least one of HTTPGet and Exec is set.
type Probe struct {
	HTTPGet *HTTPProbe `json:"httpGet,omitempty" doc:"Succeeds on an HTTP status from 200 to 399." rule:"atleastone"`
	Exec    *ExecProbe `json:"exec,omitempty" doc:"Succeeds when the command exits with 0." rule:"atleastone"`
}

// HTTPProbe is a probe by HTTP.
type HTTPProbe struct {
	Host    string       `json:"host,omitempty" doc:"Host to connect to. Default: the pod's address." rule:"minlength=1"`
	Scheme  string       `json:"scheme,omitempty" doc:"Scheme." rule:"enum=HTTP|HTTPS;default=HTTP"`
	Path    string       `json:"path" doc:"Path to ask for." rule:"required"`
	Port    int          `json:"port" doc:"Port of the container." rule:"required;min=1;max=65535"`
	Headers []HTTPHeader `json:"httpHeaders,omitempty" doc:"Request headers."`
}

// HTTPHeader is a request header of a probe.
type HTTPHeader struct {
	Name  string `json:"name" doc:"Name of the header." rule:"required;pattern=http-header"`
	Value string `json:"value" doc:"Value of the header." rule:"required;minlength=1"`
}

// ExecProbe is a probe by a command.
type ExecProbe struct {
	Command []string `json:"command" doc:"Command and arguments; no shell." rule:"required"`
}

// Resource is something a workload needs.
type Resource struct {
	Type     string           `json:"type" doc:"Resource type; strata explain lists them." rule:"required;pattern=score-type"`
	Class    string           `json:"class,omitempty" doc:"Variant of the type, such as public or internal for a route." rule:"pattern=score-type"`
	ID       string           `json:"id,omitempty" doc:"Workloads that name the same type, class and id share one resource." rule:"pattern=score-id"`
	Metadata ResourceMetadata `json:"metadata,omitzero" doc:"Free metadata."`
	Params   map[string]any   `json:"params,omitempty" doc:"Parameters; strata explain TYPE lists them."`
}

// ResourceMetadata is a Score resource's metadata: annotations and anything else.
type ResourceMetadata struct {
	Annotations map[string]string `json:"annotations,omitempty" doc:"Free annotations." rule:"keypattern=score-annotation"`
	Extra       map[string]any    `json:"-" rule:"rest" doc:"Any further metadata."`
}
