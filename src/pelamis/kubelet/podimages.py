"""The images of one pod: pulled with the pod's secrets, for a container and for the image volumes that it mounts."""

from __future__ import annotations

from functools import partial
from typing import Any

from pelamis.api.core.pod.container import Container
from pelamis.kubelet import actions as a
from pelamis.kubelet.agent import Agent
from pelamis.kubelet.cri import types as cri
from pelamis.kubelet.cri.runtime import CriError
from pelamis.kubelet.images import ImageError, credentials
from pelamis.kubelet.references import NotSynced
from pelamis.kubelet.volumes import image as image_volume


class PodImages:
    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.of_volumes: dict[str, str] = {}
        """By a volume's name, the image as the runtime knows it."""

    async def ensure(
        self, pod: Any, container: Any, sandbox: cri.PodSandboxConfig | None
    ) -> a.ImageReady | a.ImageFailed:
        """All that a container needs to be created is there, or why not."""
        agent, name, of_volume = self._agent, container.name, ""

        def note(type_: str, reason: str, message: str) -> None:
            agent.note(pod, "" if of_volume else name, type_, reason, message)

        auths = partial(self._auths, pod)
        try:
            if pod.spec.imagePullSecrets:
                await agent.references.synced(pod)
            for volume in image_volume.mounted_by(pod, container):
                of_volume = volume.image.reference
                wanted = Container(name="", image=of_volume, imagePullPolicy=volume.image.pullPolicy)
                self.of_volumes[volume.name] = await agent.images.ensure(wanted, auths, sandbox, note)
            of_volume = ""
            return a.ImageReady(name, await agent.images.ensure(container, auths, sandbox, note))
        except ImageError as error:
            return a.ImageFailed(name, error.reason, str(error), of_volume)
        except (CriError, NotSynced) as error:
            return a.ImageFailed(name, "ErrImagePull", str(error), of_volume)

    async def mount(self, pod: Any, container: Any, paths: dict[str, str]) -> None:
        """Mounts the images that the container has as volumes, and notes where. Raises CriError, OSError."""
        folder, runtime = self._agent.pod_folder(pod.metadata.uid), self._agent.runtime
        for volume in image_volume.mounted_by(pod, container):
            view = partial(runtime.view_image, self.of_volumes[volume.name])
            paths[volume.name] = await image_volume.mount_view(folder, volume.name, view)

    def _auths(self, pod: Any, image: str) -> list[Any]:
        found, missing = [], []
        for ref in pod.spec.imagePullSecrets:
            secret = self._agent.references.secret(pod.metadata.namespace, ref.name)
            if secret is None:
                missing.append(ref.name)
            else:
                found.append(secret)
        if missing:
            text = (
                f"Unable to retrieve some image pull secrets ({', '.join(missing)}); attempting to pull the image may"
                " not succeed."
            )
            self._agent.note(pod, "", "Warning", "FailedToRetrieveImagePullSecret", text)
        return credentials(found, image)
