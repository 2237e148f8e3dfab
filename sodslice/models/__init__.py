"""Models by name, folder or checkpoint: anything a user can name becomes a ready `Detector`."""

from sodslice.models.store import MODELS, StoredModel, checkpoint_of, load_model, model_info

__all__ = ["MODELS", "StoredModel", "checkpoint_of", "load_model", "model_info"]
