"""Why a note cannot be sent to a destination as it is. Both are ValueErrors whose words hold no patient data."""

from __future__ import annotations


class ProfileUnmet(ValueError):
    """The profile requires an element that this note does not have."""

    def __init__(self, element: str, profile: str) -> None:
        self.element = element
        super().__init__(f"{element} is required by profile {profile} and not known")


class NoteTooLarge(ValueError):
    """An attachment has more bytes than the destination takes. `size` and `largest` count them before base64."""

    def __init__(self, size: int, largest: int, profile: str) -> None:
        self.size, self.largest = size, largest
        super().__init__(f"content.attachment has {size} bytes, `largest` of profile {profile} is {largest}")
