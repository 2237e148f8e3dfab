"""Models by name, folder or checkpoint: anything a user can name becomes a ready `Detector`."""

from sodslice.models.store import MODELS, StoredModel, load_model, model_info

__all__ = ["MODELS", "StoredModel", "load_model", "model_info"]
