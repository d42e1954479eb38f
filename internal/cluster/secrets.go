package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Where the secrets of an environment lie whose secret store is its own cluster.
const (
	// SecretsNamespace holds one Secret for each path, and nothing else.
	SecretsNamespace = "strata-secrets"
	// SecretPath is the annotation that says of which path a Secret is.
	SecretPath = "strata.dev/path"
	// SecretKey is the key under which a Secret holds its value.
	SecretKey = "value"
)

// unfit is what may not be in an object's name.
var unfit = regexp.MustCompile(`[^a-z0-9]+`)

// SecretName is the name of the Secret that holds the value of a path such as
// acme/local/workloads/api/db/password. It can be read and is the same every time; a
// short hash of the path keeps paths apart that look alike otherwise.
func SecretName(path string) string {
	sum := sha256.Sum256([]byte(path))
	words := strings.Trim(unfit.ReplaceAllString(strings.ToLower(path), "-"), "-")
	// What is last in a path tells it from its neighbours. Fifty letters leave room for
	// the hash in a label's value.
	if len(words) > 50 {
		words = strings.TrimLeft(words[len(words)-50:], "-")
	}
	if words == "" {
		words = "secret"
	}
	return words + "-" + hex.EncodeToString(sum[:5])
}

// ReadSecret returns the value of a path, and a version: a text that changes whenever
// the value does and tells nothing about it. ok is false where there is none.
func ReadSecret(ctx context.Context, c *Client, path string) (value, version string, ok bool, err error) {
	s, err := secretAt(ctx, c, path)
	if s == nil || err != nil {
		return "", "", false, err
	}
	b, has := s.Data[SecretKey]
	if !has {
		return "", "", false, fmt.Errorf("the Secret %s/%s has no key %q: delete it, and applying makes it anew", s.Namespace, s.Name, SecretKey)
	}
	return string(b), string(s.UID) + "." + s.ResourceVersion, true, nil
}

// WriteSecret makes the secret of a path. One that is there already is given the new
// value where replace says so, and stays as it is otherwise; written reports which. The
// namespace has to be there.
func WriteSecret(ctx context.Context, c *Client, path, value string, replace bool) (written bool, err error) {
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: SecretName(path), Namespace: SecretsNamespace,
			Labels:      map[string]string{"app.kubernetes.io/managed-by": Manager},
			Annotations: map[string]string{SecretPath: path},
		},
		Data: map[string][]byte{SecretKey: []byte(value)},
	}
	secrets := c.Typed.CoreV1().Secrets(SecretsNamespace)
	_, err = secrets.Create(ctx, s, metav1.CreateOptions{FieldManager: Manager})
	switch {
	case err == nil:
		return true, nil
	case apierrors.IsNotFound(err):
		return false, fmt.Errorf("secret %s: the cluster has no namespace %s, which the environment's unit platform/secrets makes: apply that first", path, SecretsNamespace)
	case !apierrors.IsAlreadyExists(err):
		return false, fmt.Errorf("secret %s: %w", path, err)
	}
	there, err := secretAt(ctx, c, path)
	if there == nil || err != nil || !replace {
		return false, err
	}
	there.Data = s.Data
	delete(there.Annotations, SecretMadeUp)
	if _, err = secrets.Update(ctx, there, metav1.UpdateOptions{FieldManager: Manager}); err != nil {
		return false, fmt.Errorf("secret %s: %w", path, err)
	}
	return true, nil
}

// DeleteSecret deletes the secret of a path. It is no error that it is not there.
func DeleteSecret(ctx context.Context, c *Client, path string) error {
	s, err := secretAt(ctx, c, path)
	if s == nil || err != nil {
		return err
	}
	err = c.Typed.CoreV1().Secrets(s.Namespace).Delete(ctx, s.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(s.UID))})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("secret %s: %w", path, err)
	}
	return nil
}

// secretAt returns the Secret of a path, or nil. One of that name that Strata did not
// make is an error: its value is somebody else's.
func secretAt(ctx context.Context, c *Client, path string) (*corev1.Secret, error) {
	s, err := c.Typed.CoreV1().Secrets(SecretsNamespace).Get(ctx, SecretName(path), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("secret %s: %w", path, err)
	}
	if got := s.Annotations[SecretPath]; got != path {
		return nil, fmt.Errorf("secret %s: the Secret %s/%s is not of this path (its annotation %s is %q), so something other than Strata made it", path, s.Namespace, s.Name, SecretPath, got)
	}
	return s, nil
}
