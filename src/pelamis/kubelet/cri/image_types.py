"""Messages of the runtime interface's image service, v1."""

from __future__ import annotations

from typing import Annotated

from pelamis.kubelet.cri.types import ImageSpec, Int64Value, PodSandboxConfig
from pelamis.kubelet.cri.wire import Message


class ImageFilter(Message, frozen=True):
    image: Annotated[ImageSpec | None, 1] = None


class ListImagesRequest(Message, frozen=True):
    filter: Annotated[ImageFilter | None, 1] = None


class Image(Message, frozen=True):
    id: Annotated[str, 1] = ""
    repo_tags: Annotated[tuple[str, ...], 2] = ()
    repo_digests: Annotated[tuple[str, ...], 3] = ()
    size: Annotated[int, 4] = 0
    uid: Annotated[Int64Value | None, 5] = None
    username: Annotated[str, 6] = ""
    spec: Annotated[ImageSpec | None, 7] = None
    pinned: Annotated[bool, 8] = False


class ListImagesResponse(Message, frozen=True):
    images: Annotated[tuple[Image, ...], 1] = ()


class ImageStatusRequest(Message, frozen=True):
    image: Annotated[ImageSpec | None, 1] = None
    verbose: Annotated[bool, 2] = False


class ImageStatusResponse(Message, frozen=True):
    image: Annotated[Image | None, 1] = None
    info: Annotated[dict[str, str], 2] = {}


class AuthConfig(Message, frozen=True):
    username: Annotated[str, 1] = ""
    password: Annotated[str, 2] = ""
    auth: Annotated[str, 3] = ""
    server_address: Annotated[str, 4] = ""
    identity_token: Annotated[str, 5] = ""
    registry_token: Annotated[str, 6] = ""


class PullImageRequest(Message, frozen=True):
    image: Annotated[ImageSpec | None, 1] = None
    auth: Annotated[AuthConfig | None, 2] = None
    sandbox_config: Annotated[PodSandboxConfig | None, 3] = None


class PullImageResponse(Message, frozen=True):
    image_ref: Annotated[str, 1] = ""


class RemoveImageRequest(Message, frozen=True):
    image: Annotated[ImageSpec | None, 1] = None


class RemoveImageResponse(Message, frozen=True):
    pass
