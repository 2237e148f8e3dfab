"""Files of formats in which one file names another as the one with its pixels, or as one to be written."""

from __future__ import annotations

import base64
import os
import zlib
from pathlib import Path

SIDE = 64
PIXELS = bytes([7, 77, 177, 201]) * (SIDE * SIDE // 4)
"""What lies in the file that is named, and in no scene of tests."""

HDF5 = zlib.decompress(
    base64.b85decode(
        "c-rgqaB<`1lHy_j0S*oZ76t(ZWbhvf3fNHjF!=;1%?PDCp!5nRm^dR?P68?}2sIyFT}Y6tD@gT!Gyt<lgB3z^FpPqc2s~UJ"
        "13+{Hln+a#Czw#xW#*=%q(=`5?PX+OgP6q#<7+@@CWwFoR2?pw8R$|*sCyZaQZOr!2JxAgAO^7m&1HnD0p%D2798na045H}"
        "QOu0+oPwHh83Je;4>!>AeE<upI)`BbVEzgA^LGKo3oJeqm`C#@IRF4@dunX"
    )
)
"""Of SIDE x SIDE pixels in an external file, whose name is 200 times `@`; written by h5py."""

ISIS = """\
Object = IsisCube
Object = Core
StartByte = 1
^Core = {up}
Format = BandSequential
Group = Dimensions
Samples = 64
Lines = 64
Bands = 1
End_Group
Group = Pixels
Type = UnsignedByte
ByteOrder = Lsb
Base = 0.0
Multiplier = 1.0
End_Group
End_Object
End_Object
End
"""
PDS = """\
PDS_VERSION_ID = PDS3
RECORD_TYPE = FIXED_LENGTH
RECORD_BYTES = 64
FILE_RECORDS = 64
^IMAGE = "{up}"
OBJECT = IMAGE
LINES = 64
LINE_SAMPLES = 64
SAMPLE_TYPE = UNSIGNED_INTEGER
SAMPLE_BITS = 8
BANDS = 1
END_OBJECT = IMAGE
END
"""
MRF = """\
<MRF_META><CachedSource><Source>{tiff}</Source></CachedSource>
<Raster><Size x="64" y="64" c="1"/><PageSize x="64" y="64" c="1"/>
<DataFile>{folder}/written.dat</DataFile><IndexFile>{folder}/written.idx</IndexFile></Raster></MRF_META>
"""
OZI = """\
OziExplorer Map Data File Version 2.2
{tiff}
{tiff}
1 ,Map Code,
WGS 84,WGS 84,   0.0000,   0.0000,WGS 84
Reserved 1
Reserved 2
Magnetic Variation,,,E
Map Projection,Latitude/Longitude,PolyCal,No,AutoCalOnly,No,BSBUseWPX,No
"""
DIMAP = """\
<?xml version="1.0"?>
<Dimap_Document><Metadata_Id><METADATA_FORMAT version="1.1">DIMAP</METADATA_FORMAT></Metadata_Id>
<Raster_Dimensions><NCOLS>64</NCOLS><NROWS>64</NROWS><NBANDS>1</NBANDS></Raster_Dimensions>
<Data_Access><Data_File><DATA_FILE_PATH href="{up_tiff}"/></Data_File></Data_Access></Dimap_Document>
"""
RAW_VRT = """\
<VRTDataset rasterXSize="64" rasterYSize="64"><VRTRasterBand dataType="Byte" band="1"
 subClass="VRTRawRasterBand"><SourceFilename relativeToVRT="0">{said}</SourceFilename></VRTRasterBand>
</VRTDataset>
"""
WEB_VRT = """\
<VRTDataset rasterXSize="64" rasterYSize="64"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>
<SourceFilename>/vsicurl/http://127.0.0.1:9/a.tif</SourceFilename><SourceBand>1</SourceBand></SimpleSource>
</VRTRasterBand></VRTDataset>
"""
WMS = "<GDAL_WMS><Service name='TMS'><ServerUrl>http://127.0.0.1:9/</ServerUrl></Service></GDAL_WMS>"
STAC = '{"type": "FeatureCollection", "stac_version": "1.0.0", "features": []}'

TEXTS = {
    "a.cub": ISIS, "a.lbl": PDS, "a.mrf": MRF, "a.map": OZI, "a.xml": DIMAP, "a.vrt": RAW_VRT,
    "b.vrt": WEB_VRT, "a.wms": WMS, "a.json": STAC,
}  # fmt: skip
NAMES = (*TEXTS, "a.h5", "a.nc")


def pointing(name: str, secret: Path) -> bytes:
    """One of NAMES, which names a file of PIXELS, or the TIFF `secret.tif` beside it."""
    if name in ("a.h5", "a.nc"):
        said = str(secret).encode()
        return HDF5.replace(b"@" * 200, said + bytes(200 - len(said)))
    text, up, tiff = TEXTS[name], "../" * 12, secret.with_name("secret.tif")
    for word, value in (
        ("{up}", up + os.path.relpath(secret, "/")),
        ("{up_tiff}", up + os.path.relpath(tiff, "/")),
        ("{tiff}", tiff),
        ("{said}", secret),
        ("{folder}", secret.parent),
    ):
        text = text.replace(word, str(value))
    return text.encode()
